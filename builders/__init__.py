"""mmprolong_builders: PDFs to a versioned long-document dataset."""
