"""mmprolong_trainer: streamed long-document samples to a trained vision-language model."""
