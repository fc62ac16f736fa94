"""GLM mixtures: 4.5 to 4.7 over grouped queries, 5 over latent attention with a sparse indexer."""

from __future__ import annotations

from estimators.architecture.blocks import Body, decoder_layer, gated_mlp, head_norms, norms, projections
from estimators.architecture.decoder import NORMS, decoder, heads
from estimators.architecture.families.deepseek import (
    indexed_layer,
    mixture,
    prediction_layers,
    sparse_from,
)
from estimators.architecture.fields import Fields
from estimators.architecture.spec import FeedForward, LayerGroup


def glm4_moe(c: Fields, root: str = "model") -> Body:
    """GLM 4.5, 4.6, 4.7: biases on q, k, v; head norms in the larger ones."""
    width, inner, bias = c.count("hidden_size"), c.count("intermediate_size"), c.flag("attention_bias")
    attention = heads(c, uneven=True)

    def layer(sparse: bool) -> LayerGroup:
        tensors = projections(attention, width, qkv_bias=bias) + norms(width, *NORMS)
        tensors += head_norms(attention) if c.flag("use_qk_norm") else ()
        if sparse:
            made, ffn = mixture(c, balanced=True)
        else:
            made, ffn = gated_mlp(width, inner), FeedForward(width=inner)
        return decoder_layer(tensors + made, attention, ffn, prefix=f"{root}.layers.{{i}}")

    return decoder(c, root, sparse_from(c), layer, mtp=prediction_layers(c, layer(True)))


def glm_dsa(c: Fields, root: str = "model") -> Body:
    """GLM 5: `indexer_types` lets a layer reuse the choice of an earlier one ("shared"), storing no indexer."""
    count, sparse = c.layers(), sparse_from(c)
    if c.has("mlp_layer_types"):
        sparse = [kind == "sparse" for kind in c.texts("mlp_layer_types", length=count)]
    indexed = [True] * count
    if c.has("indexer_types"):
        indexed = [kind != "shared" for kind in c.texts("indexer_types", length=count)]
    kinds = list(zip(sparse, indexed, strict=True))
    last = indexed_layer(c, root, sparse=True, indexed=True)
    return decoder(
        c,
        root,
        kinds,
        lambda kind: indexed_layer(c, root, sparse=kind[0], indexed=kind[1]),
        mtp=prediction_layers(c, last, copies=False),
    )
