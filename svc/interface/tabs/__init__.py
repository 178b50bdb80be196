"""The tabs of the page, in the order they are shown: one module each, with `build(page)`."""

ORDER = ("convert", "batch", "train", "separate", "voices", "speak", "jobs", "settings")
