"""The probe suite: held-out documents at chosen lengths, with the evidence at chosen depths."""
