"""Views made from a clean batch. One of three rooms that know the modality."""
