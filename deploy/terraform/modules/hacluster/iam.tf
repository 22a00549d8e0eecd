locals {
  # Nodes that are found by their tag have one role: what one of them may, all may.
  roles = var.discovery == null ? toset(keys(var.nodes)) : toset(["node"])
}

# A role for each node, so that a node that was broken into can read its own key and no other's.
resource "aws_iam_role" "node" {
  for_each = local.roles

  name = "hacluster-${var.name}-${local.region}-${each.key}"
  tags = local.tags
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ec2.amazonaws.com" }
    }]
  })

  lifecycle {
    precondition {
      condition     = length("hacluster-${var.name}-${local.region}-${each.key}") <= 64
      error_message = "The name of the role of ${each.key} is longer than IAM's 64 characters: choose a shorter name for the cluster or the node."
    }
  }
}

resource "aws_iam_role_policy" "node" {
  for_each = local.roles

  name   = "hacluster"
  role   = aws_iam_role.node[each.key].id
  policy = module.node_files.policies[each.key]
}

resource "aws_iam_instance_profile" "node" {
  for_each = local.roles

  name = aws_iam_role.node[each.key].name
  role = aws_iam_role.node[each.key].name
  tags = local.tags
}
