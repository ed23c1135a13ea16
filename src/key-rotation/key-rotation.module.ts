import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { AccessModule } from '../access/access.module.js';
import { KeyRotation } from './key-rotation.entity.js';
import { KeyRotationsController } from './key-rotations.controller.js';
import { KeyRotationsRepository } from './key-rotations.repository.js';
import { KeyRotations } from './key-rotations.service.js';

/** Everything that is sealed, under another key. */
@Module({
  imports: [TypeOrmModule.forFeature([KeyRotation]), AccessModule],
  controllers: [KeyRotationsController],
  providers: [KeyRotations, KeyRotationsRepository],
})
export class KeyRotationModule {}
