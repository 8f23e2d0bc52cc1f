"""Published datasets: compare, convert, remove documents, push to the Hub."""
