"""How fast training is: ours and PyTorch's ways of it on the same work, beside what the machine could do.

`python -m benchmarks` measures: workloads x replicas x ways, each way in a process of its own, in turn.
"""
