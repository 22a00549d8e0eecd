# How nodes reach AWS without the Elastic IP. EC2 is on the path of a failover, so it has an endpoint in every zone; the others serve boot, shells
# and logs, and stand in one zone.
locals {
  side_endpoints = toset(concat(
    var.shell_access || !var.insecure ? ["ssm"] : [],
    var.shell_access ? ["ssmmessages"] : [],
    var.log_retention_days == null ? [] : ["logs"],
  ))
}

data "aws_caller_identity" "this" {}

resource "aws_security_group" "endpoints" {
  name        = "hacluster-${var.name}-endpoints"
  description = "hacluster lab ${var.name}: the endpoints of AWS APIs"
  vpc_id      = aws_vpc.lab.id
  tags        = { Name = "hacluster-${var.name}-endpoints" }
}

resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  security_group_id            = aws_security_group.endpoints.id
  description                  = "The nodes"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = module.hacluster.security_group_id
}

resource "aws_vpc_endpoint" "ec2" {
  vpc_id              = aws_vpc.lab.id
  vpc_endpoint_type   = "Interface"
  service_name        = "com.amazonaws.${var.region}.ec2"
  private_dns_enabled = true
  subnet_ids          = aws_subnet.node[*].id
  security_group_ids  = [aws_security_group.endpoints.id]
  tags                = { Name = "hacluster-${var.name}-ec2" }

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = "*"
      Action = concat(["ec2:DescribeAddresses", "ec2:AssociateAddress", "ec2:DisassociateAddress"],
      var.discovery ? ["ec2:DescribeInstances"] : [])
      Resource  = "*"
      Condition = { StringEquals = { "aws:PrincipalAccount" = data.aws_caller_identity.this.account_id } }
    }]
  })
}

resource "aws_vpc_endpoint" "side" {
  for_each = local.side_endpoints

  vpc_id              = aws_vpc.lab.id
  vpc_endpoint_type   = "Interface"
  service_name        = "com.amazonaws.${var.region}.${each.key}"
  private_dns_enabled = true
  subnet_ids          = [aws_subnet.node[0].id]
  security_group_ids  = [aws_security_group.endpoints.id]
  tags                = { Name = "hacluster-${var.name}-${each.key}" }
}

# A route, not an interface: it costs nothing.
resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.lab.id
  vpc_endpoint_type = "Gateway"
  service_name      = "com.amazonaws.${var.region}.s3"
  route_table_ids   = [aws_route_table.node.id]
  tags              = { Name = "hacluster-${var.name}-s3" }
}
