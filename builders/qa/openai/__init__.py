"""Questions by a language model that sees the pages: any OpenAI-compatible endpoint."""
