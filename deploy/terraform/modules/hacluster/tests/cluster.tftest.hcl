# The module, applied against mocked providers: what is made for which variables.
mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "tls" {}

variables {
  name           = "edge"
  vpc_id         = "vpc-0123456789abcdef0"
  insecure       = true
  haproxy_config = "frontend public\n  bind :80\n"
  package_url    = "s3://packages/hacluster.deb"
  package_sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
  egress         = { "the EC2 API" = { port = 443, security_group_id = "sg-0123456789abcdef0" } }
  nodes = {
    lb-1    = { subnet_id = "subnet-1", availability_zone = "eu-central-1a", address = "10.0.1.11", priority = 103 }
    lb-2    = { subnet_id = "subnet-2", availability_zone = "eu-central-1b", address = "10.0.2.12", priority = 102 }
    witness = { subnet_id = "subnet-3", availability_zone = "eu-central-1c", address = "10.0.3.13", priority = 101, witness = true, instance_type = "t4g.nano" }
  }
}

run "instances" {
  assert {
    condition     = length(aws_instance.node) == 3 && length(aws_autoscaling_group.node) == 0
    error_message = "Without auto_scaling each node is an instance."
  }
  assert {
    condition     = alltrue([for i in aws_instance.node : i.metadata_options[0].http_tokens == "required" && i.metadata_options[0].http_put_response_hop_limit == 1])
    error_message = "The instance metadata must be version 2 only, and for the instance only."
  }
  assert {
    condition     = alltrue([for i in aws_instance.node : i.root_block_device[0].encrypted])
    error_message = "Disks must be encrypted."
  }
  assert {
    condition     = aws_placement_group.this.strategy == "spread" && alltrue([for i in aws_instance.node : i.placement_group == aws_placement_group.this.name])
    error_message = "The nodes must be spread over racks."
  }
  assert {
    condition     = aws_instance.node["lb-1"].instance_type == "t4g.micro" && aws_instance.node["witness"].instance_type == "t4g.nano"
    error_message = "A node's own instance type goes before that of all."
  }
  assert {
    condition     = alltrue([for i in aws_instance.node : length(i.user_data_base64) * 3 / 4 < 16384])
    error_message = "User data has at most 16 KiB, before base64."
  }
  assert {
    condition     = alltrue([for name, i in aws_instance.node : i.tags["hacluster"] == "edge" && aws_network_interface.node[name].tags["hacluster"] == "edge"]) && aws_eip.this.tags["hacluster"] == "edge"
    error_message = "The policy goes by the tag hacluster: what it is about must have it."
  }
}

run "network" {
  assert {
    condition = alltrue([
      aws_vpc_security_group_ingress_rule.vrrp.ip_protocol == "112",
      aws_vpc_security_group_ingress_rule.vrrp.referenced_security_group_id == aws_security_group.cluster.id,
      aws_vpc_security_group_ingress_rule.raft.ip_protocol == "tcp",
      aws_vpc_security_group_ingress_rule.raft.from_port == 7400,
      aws_vpc_security_group_ingress_rule.raft.to_port == 7400,
      aws_vpc_security_group_ingress_rule.raft.referenced_security_group_id == aws_security_group.cluster.id,
    ])
    error_message = "The nodes must let in VRRP and Raft from one another."
  }
  assert {
    condition     = toset([for r in aws_vpc_security_group_ingress_rule.public : r.from_port]) == toset([80, 443]) && alltrue([for r in aws_vpc_security_group_ingress_rule.public : r.from_port == r.to_port && r.cidr_ipv4 == "0.0.0.0/0"])
    error_message = "The world may reach ports 80 and 443 and no others."
  }
  assert {
    condition     = length(aws_network_interface.node["lb-1"].security_groups) == 2 && aws_network_interface.node["witness"].security_groups == toset([aws_security_group.cluster.id])
    error_message = "A witness is not for the world."
  }
  assert {
    condition     = aws_vpc_security_group_egress_rule.arp.from_port == 9 && aws_vpc_security_group_egress_rule.arp.ip_protocol == "udp"
    error_message = "Nodes must be able to provoke ARP by UDP port 9."
  }
}

run "auto_scaling" {
  variables {
    auto_scaling = true
  }
  assert {
    condition     = length(aws_instance.node) == 0 && length(aws_autoscaling_group.node) == 3
    error_message = "With auto_scaling each node is a group."
  }
  assert {
    condition     = alltrue([for g in aws_autoscaling_group.node : g.min_size == 1 && g.max_size == 1 && length(g.availability_zones) == 1])
    error_message = "A group has one instance, in the zone of its interface."
  }
  assert {
    condition     = alltrue([for name, t in aws_launch_template.node : t.network_interfaces[0].network_interface_id == aws_network_interface.node[name].id && t.metadata_options[0].http_tokens == "required"])
    error_message = "A new instance must take over the interface of the old one, and have no IMDSv1."
  }
}

run "certificates" {
  variables {
    insecure = false
  }
  assert {
    condition     = toset(keys(aws_ssm_parameter.tls)) == toset(flatten([for n in ["lb-1", "lb-2", "witness"] : ["${n}/ca", "${n}/cert", "${n}/key"]]))
    error_message = "Each node has a CA, a certificate and a key."
  }
  assert {
    condition     = alltrue([for p in aws_ssm_parameter.tls : p.type == "SecureString"]) && aws_ssm_parameter.tls["lb-1/key"].name == "/hacluster/edge/lb-1/key"
    error_message = "Keys must be encrypted, each under its node's path."
  }
  assert {
    condition     = tls_cert_request.node["lb-1"].dns_names == tolist(["lb-1.edge.hacluster"])
    error_message = "A certificate says which node of which cluster it is for."
  }
  assert {
    condition     = alltrue([for name, c in tls_locally_signed_cert.node : toset(c.allowed_uses) == toset(["digital_signature", "client_auth", "server_auth"])])
    error_message = "Nodes call and are called."
  }
}

run "plain_tcp_makes_no_keys" {
  assert {
    condition     = length(aws_ssm_parameter.tls) == 0 && length(tls_private_key.node) == 0 && length(tls_private_key.ca) == 0
    error_message = "There is no use for keys."
  }
}

run "a_local_build" {
  variables {
    program_file   = "./versions.tf" # any file
    package_url    = null
    package_sha256 = null
  }
  assert {
    condition     = aws_s3_object.program[0].key == "hacluster-${filesha256("./versions.tf")}"
    error_message = "Another build is another object, so that nodes never get another one than they check for."
  }
  assert {
    condition     = aws_s3_bucket_public_access_block.program[0].restrict_public_buckets
    error_message = "The bucket is not public."
  }
}

run "logs" {
  variables {
    log_retention_days = 14
  }
  assert {
    condition     = aws_cloudwatch_log_group.this[0].retention_in_days == 14 && output.log_group == "/hacluster/edge"
    error_message = "The log group must be made."
  }
}

run "neither_binary_nor_package" {
  command = plan
  variables {
    package_url    = null
    package_sha256 = null
  }
  expect_failures = [var.program_file]
}

run "ssh_to_the_world" {
  command = plan
  variables {
    public_ports = [22]
  }
  expect_failures = [var.public_ports]
}

run "an_egress_to_two_places" {
  command = plan
  variables {
    egress = { "two" = { port = 443, cidr_ipv4 = "10.0.0.0/8", cidr_ipv6 = "::/0" } }
  }
  expect_failures = [var.egress]
}

run "a_description_that_ec2_refuses" {
  command = plan
  variables {
    egress = { "Debian's mirrors" = { port = 443, cidr_ipv6 = "::/0" } }
  }
  expect_failures = [var.egress]
}

run "somebody_elses_tag" {
  command = plan
  variables {
    tags = { hacluster = "other" }
  }
  expect_failures = [var.tags]
}

run "discovery" {
  variables {
    nodes     = {}
    discovery = { subnet_ids = ["subnet-1", "subnet-2", "subnet-3"] }
    insecure  = false
  }
  assert {
    condition     = { for name, g in aws_autoscaling_group.found : name => one(g.vpc_zone_identifier) } == { 1 = "subnet-1", 2 = "subnet-2", 3 = "subnet-3" }
    error_message = "Each subnet has a group."
  }
  assert {
    condition     = alltrue([for g in aws_autoscaling_group.found : g.min_size == 1 && g.max_size == 1 && g.instance_maintenance_policy[0].min_healthy_percentage == 100])
    error_message = "A group has one instance, and starts another one before it ends that."
  }
  assert {
    condition     = length(aws_instance.node) + length(aws_network_interface.node) + length(aws_autoscaling_group.node) + length(output.nodes) == 0
    error_message = "Nothing of a node outlives it."
  }
  assert {
    condition     = { for s in aws_launch_template.found[0].tag_specifications : s.resource_type => s.tags["hacluster"] } == { instance = "edge", volume = "edge", network-interface = "edge" }
    error_message = "Instances are found by the tag, and the policy goes by it for interfaces."
  }
  assert {
    condition     = aws_launch_template.found[0].network_interfaces[0].associate_public_ip_address == "false" && aws_launch_template.found[0].metadata_options[0].http_tokens == "required"
    error_message = "No address of its own, and no IMDSv1."
  }
  assert {
    condition     = toset(keys(aws_ssm_parameter.tls)) == toset(["node/ca", "node/ca-key"]) && aws_ssm_parameter.tls["node/ca-key"].type == "SecureString" && length(tls_private_key.node) == 0
    error_message = "Each node makes its own certificate."
  }
  assert {
    condition     = keys(aws_iam_role.node) == ["node"] && strcontains(output.policies["node"], "ec2:DescribeInstances")
    error_message = "One role for all, which may look for the others."
  }
}

run "discovery_over_plain_tcp" {
  variables {
    nodes     = {}
    discovery = { subnet_ids = ["subnet-1", "subnet-2", "subnet-3", "subnet-1", "subnet-2"] }
  }
  assert {
    condition     = length(aws_autoscaling_group.found) == 5 && length(aws_ssm_parameter.tls) == 0
    error_message = "A subnet may have two groups, and there is no use for keys."
  }
}

run "neither_nodes_nor_discovery" {
  command = plan
  variables {
    nodes = {}
  }
  expect_failures = [var.discovery]
}

run "nodes_and_discovery" {
  command = plan
  variables {
    discovery = { subnet_ids = ["subnet-1", "subnet-2", "subnet-3"] }
  }
  expect_failures = [var.discovery]
}

run "two_nodes_to_be_found" {
  command = plan
  variables {
    nodes     = {}
    discovery = { subnet_ids = ["subnet-1", "subnet-2"] }
  }
  expect_failures = [var.discovery]
}

run "auto_scaling_twice" {
  command = plan
  variables {
    nodes        = {}
    discovery    = { subnet_ids = ["subnet-1", "subnet-2", "subnet-3"] }
    auto_scaling = true
  }
  expect_failures = [var.auto_scaling]
}
