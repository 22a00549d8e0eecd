# What is refused, and that the message is about the right variable. Needs no provider.
variables {
  cluster        = "edge"
  region         = "eu-central-1"
  architecture   = "arm64"
  eip            = { allocation_id = "eipalloc-0123456789abcdef0", arn = "arn:aws:ec2:eu-central-1:111122223333:elastic-ip/eipalloc-0123456789abcdef0" }
  haproxy_config = ""
  program        = { kind = "binary", url = "s3://bucket/hacluster", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }
  nodes = {
    lb-1 = { address = "10.0.1.11", priority = 103, interface_arn = "arn:aws:ec2:eu-central-1:111122223333:network-interface/eni-1" }
    lb-2 = { address = "10.0.2.12", priority = 102, interface_arn = "arn:aws:ec2:eu-central-1:111122223333:network-interface/eni-2" }
    lb-3 = { address = "10.0.3.13", priority = 101, interface_arn = "arn:aws:ec2:eu-central-1:111122223333:network-interface/eni-3" }
  }
}

run "everything_in_order" {
  command = plan
}

run "name_with_capitals" {
  command = plan
  variables {
    cluster = "Edge"
  }
  expect_failures = [var.cluster]
}

run "name_too_long" {
  command = plan
  variables {
    cluster = "a-name-that-is-too-long-for-a-role"
  }
  expect_failures = [var.cluster]
}

run "two_nodes" {
  command = plan
  variables {
    nodes = {
      lb-1 = { address = "10.0.1.11", priority = 103, interface_arn = "arn:aws:ec2:eu-central-1:111122223333:network-interface/eni-1" }
      lb-2 = { address = "10.0.2.12", priority = 102, interface_arn = "arn:aws:ec2:eu-central-1:111122223333:network-interface/eni-2" }
    }
  }
  expect_failures = [var.nodes]
}

run "one_address_twice" {
  command = plan
  variables {
    nodes = {
      lb-1 = { address = "10.0.1.11", priority = 103, interface_arn = "arn:aws:ec2:eu-central-1:111122223333:network-interface/eni-1" }
      lb-2 = { address = "10.0.1.11", priority = 102, interface_arn = "arn:aws:ec2:eu-central-1:111122223333:network-interface/eni-2" }
      lb-3 = { address = "10.0.3.13", priority = 101, interface_arn = "arn:aws:ec2:eu-central-1:111122223333:network-interface/eni-3" }
    }
  }
  expect_failures = [var.nodes]
}

run "only_witnesses" {
  command = plan
  variables {
    nodes = {
      w-1 = { address = "10.0.1.11", priority = 103, witness = true, interface_arn = "arn:aws:ec2:eu-central-1:111122223333:network-interface/eni-1" }
      w-2 = { address = "10.0.2.12", priority = 102, witness = true, interface_arn = "arn:aws:ec2:eu-central-1:111122223333:network-interface/eni-2" }
      w-3 = { address = "10.0.3.13", priority = 101, witness = true, interface_arn = "arn:aws:ec2:eu-central-1:111122223333:network-interface/eni-3" }
    }
  }
  expect_failures = [var.nodes]
}

run "a_priority_that_vrrp_does_not_have" {
  command = plan
  variables {
    nodes = {
      lb-1 = { address = "10.0.1.11", priority = 255, interface_arn = "arn:aws:ec2:eu-central-1:111122223333:network-interface/eni-1" }
      lb-2 = { address = "10.0.2.12", priority = 102, interface_arn = "arn:aws:ec2:eu-central-1:111122223333:network-interface/eni-2" }
      lb-3 = { address = "10.0.3.13", priority = 101, interface_arn = "arn:aws:ec2:eu-central-1:111122223333:network-interface/eni-3" }
    }
  }
  expect_failures = [var.nodes]
}

run "an_unknown_fencing" {
  command = plan
  variables {
    settings = { fencing = "loose" }
  }
  expect_failures = [var.settings]
}

run "a_privileged_port" {
  command = plan
  variables {
    settings = { port = 740 }
  }
  expect_failures = [var.settings]
}

run "a_url_that_could_end_a_quote" {
  command = plan
  variables {
    program = { kind = "binary", url = "s3://bucket/it's", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }
  }
  expect_failures = [var.program]
}

run "a_program_without_a_checksum" {
  command = plan
  variables {
    program = { kind = "binary", url = "s3://bucket/hacluster", sha256 = "" }
  }
  expect_failures = [var.program]
}

run "found_by_tag" {
  command = plan
  variables {
    nodes     = {}
    discovery = { expect = 3 }
  }
  assert {
    condition     = keys(output.user_data) == ["node"] && keys(output.policies) == ["node"]
    error_message = "Nodes that are found by their tag are all alike."
  }
}

run "found_by_tag_and_listed" {
  command = plan
  variables {
    discovery = { expect = 3 }
  }
  expect_failures = [var.nodes]
}

run "an_even_number_to_be_found" {
  command = plan
  variables {
    nodes     = {}
    discovery = { expect = 4 }
  }
  expect_failures = [var.discovery]
}
