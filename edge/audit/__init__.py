"""What is shown of privacy: the register of all fields, the search for planted people, the attempt to join two days."""
