"""Faults of AWS, and of the way there: they are none of what is worked on, and pass."""

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.exceptions import PynamoDBException

INFRASTRUCTURE = (BotoCoreError, ClientError, PynamoDBException)
"""Faults that are none of the event's: they bring the batch back."""
