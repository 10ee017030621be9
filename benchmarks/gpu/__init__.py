"""What only a GPU can show, in one go: `python -m benchmarks.gpu`, `make bench-gpu`.

`questions` lists what is asked, `jobs` answers, `page` and `picture` show the answers. No network and no data sets are needed.
"""
