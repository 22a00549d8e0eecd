# A group of one for each node, in its zone, with its interface: what is replaced comes back under the same name and address. An existing
# interface in a launch template allows one instance, and a group by zone instead of by subnet.
resource "aws_launch_template" "node" {
  for_each = var.auto_scaling ? var.nodes : {}

  name          = "hacluster-${var.name}-${each.key}"
  image_id      = local.ami_id
  instance_type = coalesce(each.value.instance_type, local.instance_type)
  user_data     = base64gzip(module.node_files.user_data[each.key])
  ebs_optimized = true
  tags          = local.tags

  iam_instance_profile {
    name = aws_iam_instance_profile.node[each.key].name
  }

  network_interfaces {
    device_index          = 0
    network_interface_id  = aws_network_interface.node[each.key].id
    delete_on_termination = "false"
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

  tag_specifications {
    resource_type = "instance"
    tags          = merge(local.tags, { Name = "${var.name}-${each.key}" })
  }
  tag_specifications {
    resource_type = "volume"
    tags          = merge(local.tags, { Name = "${var.name}-${each.key}" })
  }
}

resource "aws_autoscaling_group" "node" {
  for_each = aws_launch_template.node

  name               = "hacluster-${var.name}-${each.key}"
  min_size           = 1
  max_size           = 1
  desired_capacity   = 1
  availability_zones = [var.nodes[each.key].availability_zone]
  health_check_type  = "EC2"

  # A new version of the template is for the next instance: no instance refresh, which would know nothing of quorum.
  launch_template {
    id      = each.value.id
    version = each.value.latest_version
  }

  dynamic "tag" {
    for_each = merge(local.tags, { Name = "${var.name}-${each.key}" })
    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = false # the launch template tags them
    }
  }

  depends_on = [aws_iam_role_policy.node, aws_ssm_parameter.tls, aws_vpc_security_group_egress_rule.cluster]
}
