"""A Ray cluster of two nodes on loopback, for tests: run by the interpreter that has Ray.

Prints the cluster's address. Then, line by line on standard input: "lose" takes the second node away as a fault would,
"add" brings one back; the end of the input ends the cluster.
"""

from __future__ import annotations

import sys

from ray.cluster_utils import Cluster

MEMORY = 100 << 20
NODE = {"num_cpus": 1, "object_store_memory": MEMORY, "include_dashboard": False}
WITH_L4 = NODE | {"num_gpus": 1, "resources": {"accelerator_type:L4": 1}}


def main() -> None:
    cluster = Cluster(initialize_head=True, head_node_args=NODE)
    second = cluster.add_node(**WITH_L4)
    print(cluster.address, flush=True)
    for line in sys.stdin:
        if line.strip() == "lose":
            cluster.remove_node(second, allow_graceful=False)
        else:
            second = cluster.add_node(**WITH_L4)
        print("done", flush=True)
    cluster.shutdown()


main()
