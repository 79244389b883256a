"""One adapter a library, and the heads. One of three rooms that know the modality."""
