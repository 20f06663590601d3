"""What is sealed stays: units, references and the locks on them."""
