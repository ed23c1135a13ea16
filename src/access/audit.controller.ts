import { Controller, Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';

import { ApiProblems } from '../common/api-docs.js';
import { AuditVerifier } from './audit-verifier.js';
import {
  AuditPageDto,
  AuditVerificationDto,
  ListAuditDto,
  toAuditEntryDto,
  toVerificationDto,
} from './audit.dto.js';
import { AuditService } from './audit.service.js';
import { type Caller, CurrentCaller, RequireRole } from './roles.js';

@ApiTags('审计 Audit')
@Controller('api/v1/audit-log')
export class AuditController {
  constructor(
    private readonly audit: AuditService,
    private readonly verifier: AuditVerifier,
  ) {}

  @Get()
  @RequireRole('admin')
  @ApiOperation({
    summary: '审计日志 / The audit log',
    description:
      '谁在何时从何处对什么做了什么，最新的在前；只含本租户，不指定租户的 owner 可见全部。' +
      " Who did what to what, when and from where, the newest first: the tenant's own, or everything for an owner without X-Tenant-Id.",
  })
  @ApiOkResponse({ type: AuditPageDto })
  @ApiProblems('invalid_query')
  async list(@CurrentCaller() caller: Caller, @Query() query: ListAuditDto): Promise<AuditPageDto> {
    const { items, nextCursor } = await this.audit.list(caller, query);
    return { items: items.map(toAuditEntryDto), nextCursor };
  }

  @Get('verification')
  @RequireRole('owner')
  @ApiOperation({
    summary: '校验审计日志 / Verify the audit log',
    description:
      '按租户重算哈希链，指出第一处被改动或删除的条目。改动最近约一分钟内尚未封存的条目无法发现。' +
      ' Computes every tenant’s chain of hashes anew and names the first entry that was changed or deleted. Entries of about the last minute are not sealed yet and cannot be checked.',
  })
  @ApiOkResponse({ type: AuditVerificationDto })
  @ApiProblems()
  async verify(@CurrentCaller() caller: Caller): Promise<AuditVerificationDto> {
    return toVerificationDto(await this.verifier.verify(caller));
  }
}
