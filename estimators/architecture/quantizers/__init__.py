"""Readers of `quantization_config`, one function per `quant_method`."""
