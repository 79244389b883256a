"""One file a packaged model: from the form its package carries to a Hugging Face folder."""
