"""One kind of job: its folder, its owner, its process, and the server's workers."""
