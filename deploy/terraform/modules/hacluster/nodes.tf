# One rack each: Debian's and AWS's maintenance should not find two nodes on one host.
resource "aws_placement_group" "this" {
  name     = "hacluster-${var.name}"
  strategy = "spread"
  tags     = local.tags
}

# The interface outlives the instance. So a node keeps its address, its peers keep their configuration, and the Elastic IP of a dead
# node stays where its successor's compare-and-set expects it.
resource "aws_network_interface" "node" {
  for_each = var.nodes

  description        = "hacluster ${var.name}, node ${each.key}"
  subnet_id          = each.value.subnet_id
  private_ips        = [each.value.address]
  ipv6_address_count = var.ipv6 ? 1 : null
  security_groups    = each.value.witness ? [aws_security_group.cluster.id] : [aws_security_group.cluster.id, aws_security_group.public.id]
  tags               = merge(local.tags, { Name = "${var.name}-${each.key}" })
}

# Changes of the image or of user data are for new instances: replace one node, wait until 'hacluster status' is content, go on with the
# next. All at once would end the cluster.
resource "aws_instance" "node" {
  for_each = var.auto_scaling ? {} : var.nodes

  ami                  = local.ami_id
  instance_type        = coalesce(each.value.instance_type, local.instance_type)
  iam_instance_profile = aws_iam_instance_profile.node[each.key].name
  placement_group      = aws_placement_group.this.name
  user_data_base64     = base64gzip(module.node_files.user_data[each.key])
  ebs_optimized        = true
  tags                 = merge(local.tags, { Name = "${var.name}-${each.key}" })
  volume_tags          = merge(local.tags, { Name = "${var.name}-${each.key}" })

  #checkov:skip=CKV_AWS_126:detailed monitoring costs more than it tells; hacluster watches itself every 200 ms
  #checkov:skip=CKV2_AWS_41:the profile is given by for_each, which the scan does not follow

  primary_network_interface {
    network_interface_id = aws_network_interface.node[each.key].id
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    encrypted   = true
    volume_type = "gp3"
    volume_size = 8
  }

  lifecycle {
    ignore_changes = [ami, user_data_base64]
  }

  depends_on = [aws_iam_role_policy.node, aws_ssm_parameter.tls, aws_vpc_security_group_egress_rule.cluster]
}
