"""Reading scanned pages: engines, their weights, straightening, layout, the cache, and the run over a document."""
