"""DynamoDB and its event source mappings in memory: fast, exact in what they cost, and faulty on demand.

Product code runs over it as it is, its clients with it; only the wire below them is played.
"""
