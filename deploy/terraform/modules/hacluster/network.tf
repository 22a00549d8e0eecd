# Two groups: what the nodes are to one another, and what those with HAProxy are to the world.
resource "aws_security_group" "cluster" {
  name        = "hacluster-${var.name}"
  description = "hacluster ${var.name}: the nodes among themselves, and where they may connect to"
  vpc_id      = var.vpc_id
  tags        = merge(local.tags, { Name = "hacluster-${var.name}" })
}

resource "aws_vpc_security_group_ingress_rule" "vrrp" {
  security_group_id            = aws_security_group.cluster.id
  description                  = "VRRP adverts, IP protocol 112"
  ip_protocol                  = "112"
  referenced_security_group_id = aws_security_group.cluster.id
  tags                         = local.tags
}

resource "aws_vpc_security_group_ingress_rule" "raft" {
  security_group_id            = aws_security_group.cluster.id
  description                  = "Raft and the calls of the nodes to one another"
  ip_protocol                  = "tcp"
  from_port                    = var.settings.port
  to_port                      = var.settings.port
  referenced_security_group_id = aws_security_group.cluster.id
  tags                         = local.tags
}

resource "aws_vpc_security_group_egress_rule" "vrrp" {
  security_group_id            = aws_security_group.cluster.id
  description                  = "VRRP adverts, IP protocol 112"
  ip_protocol                  = "112"
  referenced_security_group_id = aws_security_group.cluster.id
  tags                         = local.tags
}

resource "aws_vpc_security_group_egress_rule" "raft" {
  security_group_id            = aws_security_group.cluster.id
  description                  = "Raft and the calls of the nodes to one another"
  ip_protocol                  = "tcp"
  from_port                    = var.settings.port
  to_port                      = var.settings.port
  referenced_security_group_id = aws_security_group.cluster.id
  tags                         = local.tags
}

# Nothing listens there: a datagram makes the kernel look up the neighbour before an advert has to leave (docs/SAFETY.md).
resource "aws_vpc_security_group_egress_rule" "arp" {
  security_group_id            = aws_security_group.cluster.id
  description                  = "Datagrams that make the kernel look up its neighbours"
  ip_protocol                  = "udp"
  from_port                    = 9
  to_port                      = 9
  referenced_security_group_id = aws_security_group.cluster.id
  tags                         = local.tags
}

resource "aws_vpc_security_group_egress_rule" "cluster" {
  for_each = var.egress

  security_group_id            = aws_security_group.cluster.id
  description                  = each.key
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  referenced_security_group_id = each.value.security_group_id
  prefix_list_id               = each.value.prefix_list_id
  cidr_ipv4                    = each.value.cidr_ipv4
  cidr_ipv6                    = each.value.cidr_ipv6
  tags                         = local.tags
}

resource "aws_security_group" "public" {
  name        = "hacluster-${var.name}-public"
  description = "hacluster ${var.name}: what the world may reach on the nodes that have HAProxy"
  vpc_id      = var.vpc_id
  tags        = merge(local.tags, { Name = "hacluster-${var.name}-public" })

  #checkov:skip=CKV2_AWS_5:attached to the network interfaces of the nodes, by for_each
}

resource "aws_vpc_security_group_ingress_rule" "public" {
  for_each = { for pair in setproduct(var.public_ports, var.public_cidrs) : "${pair[0]} from ${pair[1]}" => { port = pair[0], cidr = pair[1] } }

  security_group_id = aws_security_group.public.id
  description       = "Clients of HAProxy"
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
  cidr_ipv4         = each.value.cidr
  tags              = local.tags

  #checkov:skip=CKV_AWS_260:a public entrance is what this module makes; public_cidrs narrows it
}
