terraform {
  required_version = ">= 1.11.0, < 2.0.0"

  # Exact versions: those whose published bindings 'make terraform-check' compares every name with. Raise both together.
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "6.25.0"
    }
    tls = {
      source  = "hashicorp/tls"
      version = "4.1.0"
    }
  }
}
