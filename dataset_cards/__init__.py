"""mmprolong_cards: the templates of dataset cards (data files only)."""
