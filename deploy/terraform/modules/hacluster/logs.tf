resource "aws_cloudwatch_log_group" "this" {
  count = var.log_retention_days == null ? 0 : 1

  name              = "/hacluster/${var.name}"
  retention_in_days = var.log_retention_days
  tags              = local.tags

  #checkov:skip=CKV_AWS_158:CloudWatch's own encryption; the logs hold addresses and ids, and no secret
  #checkov:skip=CKV_AWS_338:how long is the caller's choice; a year is no duty here
}
