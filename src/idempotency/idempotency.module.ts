import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { Idempotency } from './idempotency.service.js';
import { IdempotentAnswer } from './idempotent-answer.entity.js';
import { IdempotentAnswersRepository } from './idempotent-answers.repository.js';

/** The same request again is the same answer again. */
@Module({
  imports: [TypeOrmModule.forFeature([IdempotentAnswer])],
  providers: [Idempotency, IdempotentAnswersRepository],
  exports: [Idempotency],
})
export class IdempotencyModule {}
