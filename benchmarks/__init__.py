"""How fast training is: our training and PyTorch's ways of the same work, beside the machine's ceiling.

`python -m benchmarks` measures workloads x replicas x ways. Each way runs in a process of its own, and they take turns.
Only `ours` uses planning, execution and the engine's sweep.
"""
