"""What only a GPU can show, in one go: `python -m jaxcompare.bench.gpu`, `make bench-gpu`.

A list of questions (`questions`), each answered by jobs (`jobs`) in processes of their own, so that each one's peak of memory
is its own and none can take the others with it. What was found goes into a file after every job, then to Markdown (`page`) and
a picture (`picture`). Neither network nor data sets from elsewhere are needed.
"""
