# Nodes that find one another by their tag: a group of one in each subnet, all from one template. What is replaced comes back as another node, with
# another interface, address and name; the cluster admits it, and removes the one that is gone.
resource "aws_launch_template" "found" {
  count = var.discovery == null ? 0 : 1

  name          = "hacluster-${var.name}"
  image_id      = local.ami_id
  instance_type = local.instance_type
  user_data     = base64gzip(module.node_files.user_data["node"])
  ebs_optimized = true
  tags          = local.tags

  iam_instance_profile {
    name = aws_iam_instance_profile.node["node"].name
  }

  network_interfaces {
    device_index                = 0
    security_groups             = [aws_security_group.cluster.id, aws_security_group.public.id]
    ipv6_address_count          = var.ipv6 ? 1 : null
    associate_public_ip_address = "false"
    delete_on_termination       = "true"
  }

  placement {
    group_name = aws_placement_group.this.name
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      encrypted   = "true"
      volume_type = "gp3"
      volume_size = 8
    }
  }

  # The instances are found by it, and the policy goes by it for the interfaces.
  dynamic "tag_specifications" {
    for_each = ["instance", "volume", "network-interface"]
    content {
      resource_type = tag_specifications.value
      tags          = merge(local.tags, { Name = var.name })
    }
  }
}

resource "aws_autoscaling_group" "found" {
  for_each = var.discovery == null ? {} : { for i, subnet in var.discovery.subnet_ids : tostring(i + 1) => subnet }

  name                = "hacluster-${var.name}-${each.key}"
  min_size            = 1
  max_size            = 1
  desired_capacity    = 1
  vpc_zone_identifier = [each.value]
  health_check_type   = "EC2"

  launch_template {
    id      = aws_launch_template.found[0].id
    version = aws_launch_template.found[0].latest_version
  }

  # Where a replacement can wait: the new one first, and five minutes in which it becomes a voter.
  default_instance_warmup = 300
  instance_maintenance_policy {
    min_healthy_percentage = 100
    max_healthy_percentage = 200
  }

  dynamic "tag" {
    for_each = merge(local.tags, { Name = var.name })
    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = false # the launch template tags them
    }
  }

  depends_on = [aws_iam_role_policy.node, aws_ssm_parameter.tls, aws_vpc_security_group_egress_rule.cluster]
}
