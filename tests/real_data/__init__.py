"""The whole platform on real public datasets, against figures computed another way."""
