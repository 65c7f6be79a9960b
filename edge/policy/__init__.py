"""May it pass here? Rules as data, and the one maker of ACCEPT."""
