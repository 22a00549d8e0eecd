# Answers of an account, for what the module looks at.
mock_data "aws_region" {
  defaults = { region = "eu-central-1" }
}

mock_data "aws_partition" {
  defaults = { partition = "aws" }
}

mock_data "aws_caller_identity" {
  defaults = { account_id = "111122223333" }
}

mock_data "aws_ami" {
  defaults = { id = "ami-0123456789abcdef0" }
}

mock_resource "aws_eip" {
  defaults = {
    allocation_id = "eipalloc-0123456789abcdef0"
    arn           = "arn:aws:ec2:eu-central-1:111122223333:elastic-ip/eipalloc-0123456789abcdef0"
    public_ip     = "203.0.113.10"
  }
}

mock_resource "aws_network_interface" {
  defaults = { arn = "arn:aws:ec2:eu-central-1:111122223333:network-interface/eni-0123456789abcdef0" }
}
