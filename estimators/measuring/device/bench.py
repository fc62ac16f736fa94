"""Times on one device, and the micro-benchmark that says what it achieves. torch comes as an argument."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from estimators.architecture.parse import parse_config
from estimators.architecture.spec import SpecSource
from estimators.measuring.device import device_profile
from estimators.measuring.device.device_estimate import calibrated
from estimators.measuring.device.device_profile import DeviceProfile, TimedProduct


class DeviceBench:
    """Times on one device: events on CUDA, the clock on the CPU; and the micro-benchmark made of them."""

    def __init__(self, torch: Any, transformers: Any, device: str, threads: int) -> None:
        self.torch, self.transformers, self.device, self.threads = torch, transformers, device, threads
        self.cuda = device != "cpu"

    def mark(self) -> Any:
        if not self.cuda:
            return time.perf_counter()
        event = self.torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def between(self, first: Any, last: Any) -> float:
        if not self.cuda:
            return float(last - first)
        self.torch.cuda.synchronize()
        return float(first.elapsed_time(last)) / 1e3

    def timed(self, run: Callable[[], object], repeats: int = 5) -> float:
        """Least seconds after one call that does not count: what else runs on a machine only ever adds to a time."""
        run()
        readings = []
        for _ in range(repeats):
            first = self.mark()
            run()
            readings.append(self.between(first, self.mark()))
        return min(readings)

    def random(self, dtype: Any, *shape: int) -> Any:
        return self.torch.empty(*shape, dtype=dtype, device=self.device).uniform_(-0.02, 0.02)

    def profile(self, name: str, dtype_name: str) -> DeviceProfile:
        torch, dtype = self.torch, getattr(self.torch, dtype_name)
        products = tuple(self.products(dtype))
        smallest = next(p.seconds for p in products if p.tokens == 1)
        shallow, deep = device_profile.TINY_LAYERS
        few, many = self.tiny_step(dtype, shallow), self.tiny_step(dtype, deep)
        slope = max(0.0, (many - few) / (deep - shallow))
        wide, half = self.random(dtype, 256, 1024), self.random(dtype, 256, 1024)
        norm = self.timed(lambda: wide + half * torch.rsqrt(wide.float().pow(2).mean(-1, keepdim=True)).to(dtype))
        gate = self.timed(lambda: torch.nn.functional.silu(wide) * half)
        copied, attended = self.cache(dtype)
        alone = DeviceProfile(
            device=name,
            dtype=dtype_name,
            element_bytes=dtype.itemsize,
            threads=self.threads,
            products=products,
            layer_s=(alone_s := max(0.0, slope - 7 * smallest)),  # q, k, v, o, gate, up, down are products of their own
            layer_alone_s=alone_s,
            step_s=max(0.0, few - shallow * slope),
            norm_s_per_element=norm / wide.numel(),
            gate_s_per_element=gate / wide.numel(),
            attention_s_per_pair=self.attention(dtype),
            cache_s_per_element=copied,
            decode_s_per_pair=attended,
        )
        config = device_profile.REFERENCE | {"num_hidden_layers": 1}
        layer = parse_config(config, model_id="reference", source=SpecSource.FILE, source_note="micro-benchmark")
        return calibrated(alone, layer, *self.reference_layer(dtype))

    def reference_layer(self, dtype: Any) -> tuple[float, float]:
        """Seconds of one layer of a real size among others: for one token, and for a prompt."""
        shallow, deep = device_profile.REFERENCE_LAYERS
        few, many = self.reference_steps(dtype, shallow), self.reference_steps(dtype, deep)
        return tuple(max(0.0, (b - a) / (deep - shallow)) for a, b in zip(few, many, strict=True))  # type: ignore[return-value]

    def reference_steps(self, dtype: Any, layers: int) -> tuple[float, float]:
        sizes = {key: value for key, value in device_profile.REFERENCE.items() if key != "model_type"}
        config = self.transformers.LlamaConfig(num_hidden_layers=layers, **sizes)
        with self.torch.device(self.device):
            model = self.transformers.AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
            prompt = self.torch.zeros(1, device_profile.REFERENCE_TOKENS, dtype=self.torch.long)
        cache = model(prompt[:, :8], use_cache=True).past_key_values
        one = self.timed(lambda: model(prompt[:, :1], past_key_values=cache, use_cache=True), 15)
        return one, self.timed(lambda: model(prompt, use_cache=True, logits_to_keep=1), 5)

    def products(self, dtype: Any) -> Iterator[TimedProduct]:
        linear = self.torch.nn.functional.linear
        grid = device_profile.GPU_GRID if self.cuda else device_profile.CPU_GRID
        for out, inner in grid.shapes:
            pool = grid.pool(out * inner, dtype.itemsize)
            weights = [self.random(dtype, out, inner) for _ in range(pool)]
            for tokens in grid.tokens:
                work = tokens * out * inner
                if work > grid.most_work:
                    continue
                some = weights[: max(1, min(pool, int(grid.most_work // work)))]
                x = self.random(dtype, 1, tokens, inner)
                seconds = self.timed(partial(_through, linear, x, some)) / len(some)
                yield TimedProduct(tokens=tokens, elements=out * inner, seconds=seconds)

    def tiny_step(self, dtype: Any, layers: int) -> float:
        """One decode step of a model with next to nothing to compute."""
        sizes = {"hidden_size": 64, "intermediate_size": 64, "num_attention_heads": 2, "vocab_size": 64}
        config = self.transformers.LlamaConfig(num_hidden_layers=layers, **sizes)
        with self.torch.device(self.device):
            model = self.transformers.AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
            token = self.torch.zeros(1, 1, dtype=self.torch.long)
        cache = model(token, use_cache=True).past_key_values
        return self.timed(lambda: model(token, past_key_values=cache, use_cache=True).logits[:, -1].argmax(-1), 30)

    def attention(self, dtype: Any) -> float:
        q = self.random(dtype, 1, 8, 256, 64)
        attend = self.torch.nn.functional.scaled_dot_product_attention
        return self.timed(lambda: attend(q, q, q, is_causal=True)) / (8 * 256 * 256 * 64)

    def cache(self, dtype: Any) -> tuple[float, float]:
        """Slopes over the cache's length: seconds per element copied to append a token, per pair attended to."""
        heads, width, short, long = 8, 64, 128, 1024
        attend = self.torch.nn.functional.scaled_dot_product_attention
        one = self.random(dtype, 1, heads, 1, width)
        held = [self.random(dtype, 1, heads, length, width) for length in (short, long)]
        grown = [self.timed(partial(self.torch.cat, (keys, one), dim=2), 25) for keys in held]
        seen = [self.timed(partial(attend, one, keys, keys), 25) for keys in held]
        elements = heads * width * (long - short)
        return max(0.0, grown[1] - grown[0]) / elements, max(0.0, seen[1] - seen[0]) / elements


def _through(linear: Any, x: Any, weights: list[Any]) -> None:
    for weight in weights:
        linear(x, weight)
