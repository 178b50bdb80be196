"""Jobs: a queue on disk, a process for each job, and what a person may do to them."""
