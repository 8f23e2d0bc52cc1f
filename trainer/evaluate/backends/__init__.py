"""Who answers: an endpoint, a model folder, or a script; found by what ``--model`` says."""
