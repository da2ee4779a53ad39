"""What can happen and what is allowed. Pure: no AWS, no clock, no environment, no I/O."""
