"""Does a credential hold, given trust and time?"""
