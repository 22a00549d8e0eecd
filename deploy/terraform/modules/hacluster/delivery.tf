# How a local build gets to the nodes.
resource "aws_s3_bucket" "program" {
  count = var.program_file == null ? 0 : 1

  bucket_prefix = "hacluster-${var.name}-"
  force_destroy = true
  tags          = local.tags

  #checkov:skip=CKV_AWS_18:one object, read at first boots; CloudTrail has who changed the bucket
  #checkov:skip=CKV_AWS_144:the binary is built again in a minute
  #checkov:skip=CKV_AWS_145:S3's own encryption; the binary is no secret
  #checkov:skip=CKV2_AWS_61:one object
  #checkov:skip=CKV2_AWS_62:nobody waits for events of it
}

resource "aws_s3_bucket_public_access_block" "program" {
  count = var.program_file == null ? 0 : 1

  bucket                  = aws_s3_bucket.program[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "program" {
  count = var.program_file == null ? 0 : 1

  bucket = aws_s3_bucket.program[0].id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_object" "program" {
  count = var.program_file == null ? 0 : 1

  bucket      = aws_s3_bucket.program[0].id
  key         = "hacluster-${filesha256(var.program_file)}"
  source      = var.program_file
  source_hash = filesha256(var.program_file)
  tags        = local.tags

  #checkov:skip=CKV_AWS_186:as the bucket: S3's own encryption; the binary is no secret

  depends_on = [aws_s3_bucket_public_access_block.program, aws_s3_bucket_versioning.program]
}
