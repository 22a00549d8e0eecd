# The whole lab, applied against mocked providers.
mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "tls" {}

variables {
  package_url    = "https://packages.example.org/hacluster.deb"
  package_sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
}

run "three_nodes" {
  assert {
    condition     = [for n in values(module.hacluster.nodes) : n.availability_zone] == ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
    error_message = "One node in each zone."
  }
  assert {
    condition     = { for name, n in module.hacluster.nodes : name => n.address } == { lb-1 = "10.97.0.11", lb-2 = "10.97.1.12", lb-3 = "10.97.2.13" }
    error_message = "Each node has an address in its subnet."
  }
  assert {
    condition     = length(aws_instance.web) == 5 && alltrue([for w in aws_instance.web : !w.associate_public_ip_address && w.metadata_options[0].http_tokens == "required"])
    error_message = "Five web servers, none of them public."
  }
  assert {
    condition     = length(aws_vpc_endpoint.ec2.subnet_ids) == 3 && aws_vpc_endpoint.ec2.private_dns_enabled
    error_message = "The EC2 API must be reachable from every zone without the Elastic IP, under its public name."
  }
  assert {
    condition     = toset(keys(aws_vpc_endpoint.side)) == toset(["ssm", "ssmmessages"])
    error_message = "Shells need these endpoints."
  }
  assert {
    condition     = aws_subnet.node[0].cidr_block == "10.97.0.0/24" && !aws_subnet.node[0].map_public_ip_on_launch
    error_message = "No node gets a public address of its own."
  }
}

run "five_nodes" {
  variables {
    layout = "5"
  }
  assert {
    condition     = length(module.hacluster.nodes) == 5 && module.hacluster.nodes["lb-4"].availability_zone == "eu-central-1a"
    error_message = "The fourth node is in the first zone again."
  }
}

run "two_and_a_witness" {
  variables {
    layout = "2+witness"
  }
  assert {
    condition     = [for name, n in module.hacluster.nodes : name if n.witness] == ["witness"]
    error_message = "The third vote has no HAProxy."
  }
}

run "everything_on" {
  variables {
    auto_scaling       = true
    log_retention_days = 7
    architecture       = "amd64"
    settings           = { profile = "fast", virtual_router_id = 52 }
  }
  assert {
    condition     = toset(keys(aws_vpc_endpoint.side)) == toset(["ssm", "ssmmessages", "logs"])
    error_message = "Logs need an endpoint too."
  }
}

run "plain_tcp_and_no_shells" {
  variables {
    insecure     = true
    shell_access = false
  }
  assert {
    condition     = length(aws_vpc_endpoint.side) == 0
    error_message = "Nobody needs an endpoint beside that of EC2."
  }
}

run "four_nodes" {
  command = plan
  variables {
    layout = "4"
  }
  expect_failures = [var.layout]
}

run "a_small_vpc" {
  command = plan
  variables {
    vpc_cidr = "10.0.0.0/24"
  }
  expect_failures = [var.vpc_cidr]
}

run "discovery" {
  variables {
    discovery = true
    layout    = "5"
  }
  assert {
    condition     = length(module.hacluster.nodes) == 0 && strcontains(aws_vpc_endpoint.ec2.policy, "ec2:DescribeInstances")
    error_message = "The nodes must be let through the endpoint when they look for one another."
  }
}

run "no_discovery" {
  assert {
    condition     = !strcontains(aws_vpc_endpoint.ec2.policy, "ec2:DescribeInstances")
    error_message = "Nobody looks for nodes that are listed."
  }
}

run "a_witness_to_be_found" {
  command = plan
  variables {
    discovery = true
    layout    = "2+witness"
  }
  expect_failures = [var.discovery]
}
