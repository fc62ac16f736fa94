"""What vLLM's Neuron plug-in wants to be told."""

import json

from estimators.launch.neuron import arguments, compiles, cores


def test_cores_of_a_chip() -> None:
    assert [cores(chip) for chip in ("Inferentia2", "Trainium", "Trainium2", "Inferentia")] == [2, 2, 4, None]


def test_it_compiles_a_listed_set_of_models() -> None:
    assert compiles("LlamaForCausalLM")
    assert not compiles("DeepseekV3ForCausalLM")


def test_a_block_per_request() -> None:
    assert arguments(2048, 4, prefix_cached=False) == [
        *("--block-size", "2048", "--num-gpu-blocks-override", "4", "--no-enable-prefix-caching"),
    ]


def test_pages_where_prefixes_are_cached() -> None:
    """2,050 tokens are 65 pages of 32: 4 requests are 260."""
    words = arguments(2050, 4, prefix_cached=True)
    assert words[words.index("--num-gpu-blocks-override") + 1] == "260"
    assert json.loads(words[-1])["override_neuron_config"]["pa_num_blocks"] == 260
