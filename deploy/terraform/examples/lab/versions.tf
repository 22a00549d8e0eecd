terraform {
  required_version = ">= 1.11.0, < 2.0.0"

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

provider "aws" {
  region = var.region

  default_tags {
    tags = { Project = "hacluster-lab", Lab = var.name }
  }
}

# The module makes certificates with it; named here so that tests can put a mock in its place.
provider "tls" {}
