"""Adapters to the outside (DynamoDB, SQS, Secrets Manager, Slack, HTTP) and the deployment template."""
