# A dual-stack VPC. IPv4 has one way in and out, the Elastic IP; IPv6 has a way out only, for packages. There is no NAT gateway: the nodes'
# subnets must send their answers to clients to the internet gateway, so a NAT gateway would never be asked.
resource "aws_vpc" "lab" {
  cidr_block                       = var.vpc_cidr
  assign_generated_ipv6_cidr_block = true
  enable_dns_support               = true
  enable_dns_hostnames             = true # private DNS of the endpoints needs it
  tags                             = { Name = "hacluster-${var.name}" }

  #checkov:skip=CKV2_AWS_11:flow logs of a lab are not read by anybody; turn them on where somebody does
}

# Whatever forgets to name a security group gets this one, which allows nothing.
resource "aws_default_security_group" "lab" {
  vpc_id = aws_vpc.lab.id
  tags   = { Name = "hacluster-${var.name}-nothing" }
}

resource "aws_internet_gateway" "lab" {
  vpc_id = aws_vpc.lab.id
  tags   = { Name = "hacluster-${var.name}" }
}

resource "aws_egress_only_internet_gateway" "lab" {
  vpc_id = aws_vpc.lab.id
  tags   = { Name = "hacluster-${var.name}" }
}

locals {
  node_cidrs = [for i in range(3) : cidrsubnet(var.vpc_cidr, 8, i)]
  web_cidrs  = [for i in range(3) : cidrsubnet(var.vpc_cidr, 8, 100 + i)]
}

resource "aws_subnet" "node" {
  count = 3

  vpc_id                          = aws_vpc.lab.id
  availability_zone               = local.zones[count.index]
  cidr_block                      = local.node_cidrs[count.index]
  ipv6_cidr_block                 = cidrsubnet(aws_vpc.lab.ipv6_cidr_block, 8, count.index)
  assign_ipv6_address_on_creation = false
  map_public_ip_on_launch         = false
  tags                            = { Name = "hacluster-${var.name}-nodes-${local.zones[count.index]}" }
}

resource "aws_route_table" "node" {
  vpc_id = aws_vpc.lab.id
  tags   = { Name = "hacluster-${var.name}-nodes" }
}

resource "aws_route" "internet" {
  route_table_id         = aws_route_table.node.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.lab.id
}

resource "aws_route" "internet_ipv6" {
  route_table_id              = aws_route_table.node.id
  destination_ipv6_cidr_block = "::/0"
  egress_only_gateway_id      = aws_egress_only_internet_gateway.lab.id
}

resource "aws_route_table_association" "node" {
  count = 3

  subnet_id      = aws_subnet.node[count.index].id
  route_table_id = aws_route_table.node.id

  depends_on = [aws_route.internet, aws_route.internet_ipv6]
}
