"""What only a GPU can show, in one go: `python -m benchmarks.gpu`, `make bench-gpu`.

A list of questions (`questions`), each answered by jobs (`jobs`). Those that measure rates share a process a stage, one after
another, so that nothing runs beside them; those that measure memory have one each, so that its peak is their own. A job's
answer is written as soon as it is known; one that fails, or ends its process, costs itself alone, and one that is late the
rest of its stage. What was found goes into a file, to Markdown (`page`) and a picture (`picture`). Neither network nor data
sets from elsewhere are needed.
"""
