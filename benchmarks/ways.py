"""WAYS: how the same work is done. CEILINGS: what bounds it. Each is prepared and run in a process of its own."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Way:
    """One way of training all replicas of a workload."""

    prepare: str  # "module:function" of this package, (workload, replicas) -> Prepared; imported by its process alone
    colour: int  # its place in the plots' palette
    dash: str = "-"
    torch: bool = False  # needs PyTorch
    on: tuple[str, ...] = ("cpu", "gpu")  # kinds of machine
    environment: dict[str, str] = field(default_factory=dict)
    fresh: bool = False  # a new process for each number of replicas, so that nothing compiled is found again


WAYS: dict[str, Way] = {
    "ours": Way("ours:prepare", 0, fresh=True),
    "ours, one by one": Way("ours:one_by_one", 0, "--"),
    "ours on CPU": Way("ours:prepare", 0, ":", on=("gpu",), environment={"JAX_PLATFORMS": "cpu"}, fresh=True),
    "torch dataloader": Way("torch_loops:dataloader", 6, ":", torch=True),
    "torch indexed": Way("torch_loops:indexed", 6, "--", torch=True),
    "torch compiled": Way("torch_ways:compiled", 4, "--", torch=True),
    "torch vmap": Way("torch_ways:vmap", 2, torch=True),
    "torch vmap compiled": Way("torch_ways:vmap_compiled", 3, torch=True),
    "torch baddbmm compiled": Way("torch_ways:baddbmm_compiled", 1, torch=True),
    "torch baddbmm, a process a core": Way("torch_processes:prepare", 5, torch=True, on=("cpu",)),
}

PRODUCT, COPY = "operations a second", "bytes a second"


@dataclass(frozen=True)
class Ceiling:
    """One measurement of the machine; of several of one quantity the highest counts."""

    prepare: str  # "module:function" of this package, () -> Prepared
    quantity: str
    torch: bool = False
    on: tuple[str, ...] = ("cpu", "gpu")


CEILINGS: dict[str, Ceiling] = {
    "numpy product": Ceiling("ceiling:numpy_product", PRODUCT, on=("cpu",)),
    "jax product": Ceiling("ceiling:jax_product", PRODUCT),
    "torch product": Ceiling("ceiling:torch_product", PRODUCT, torch=True),
    "jax copy": Ceiling("ceiling:jax_copy", COPY, on=("gpu",)),
}
