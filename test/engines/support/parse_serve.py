"""Reads command lines of `vllm serve` as vLLM itself does, without starting anything.

Standard input: a JSON list of words a line, from the model on. Standard output: a JSON object a line with what is wrong, the classes
of its KV connectors, the memory tiers behind host memory, and the class of its loader.
"""

import json
import sys

from vllm.config import KVTransferConfig
from vllm.distributed.kv_transfer.kv_connector.factory import KVConnectorFactory
from vllm.entrypoints.cli.serve import make_arg_parser, validate_parsed_serve_args
from vllm.model_executor.model_loader import _LOAD_FORMAT_TO_MODEL_LOADER
from vllm.utils.argparse_utils import FlexibleArgumentParser
from vllm.v1.kv_offload.tiering.factory import SecondaryTierFactory


def connectors(config):
    """Classes of a connector and of those behind it, with the tiers of each."""
    name = KVConnectorFactory.get_connector_class(config).__name__
    extra = config.kv_connector_extra_config or {}
    tiers = [SecondaryTierFactory.get_tier_class(tier).__name__ for tier in extra.get("secondary_tiers", [])]
    found = [[name, *tiers]]
    for child in extra.get("connectors", []):
        found += connectors(KVTransferConfig(**child))
    return found


PARSER = make_arg_parser(FlexibleArgumentParser(exit_on_error=False))


def read(words):
    try:
        args = PARSER.parse_args(words)
        validate_parsed_serve_args(args)
        config = args.kv_transfer_config
        if isinstance(config, dict):
            config = KVTransferConfig(**config)
        return {
            "error": None,
            "connectors": connectors(config) if config else [],
            "loader": _LOAD_FORMAT_TO_MODEL_LOADER[args.load_format].__name__,
        }
    except (Exception, SystemExit) as error:
        return {"error": f"{type(error).__name__}: {error}", "connectors": [], "loader": None}


for line in sys.stdin:
    # vLLM logs to standard output.
    print("\n@" + json.dumps(read(json.loads(line))), flush=True)
