"""The web page: a thin layer over the library. Every long action is a job in a process of its own."""
